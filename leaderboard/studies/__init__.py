"""What is measured of a model beyond the strategies, on test images of its sources (protocol, section 6).

The grid of everything (table 5), clicks in turn (figure 16), and the effort to correct its masks (table 7).
"""
