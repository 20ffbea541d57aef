"""A study of how much a model helps people who annotate (paper, section 4.9, table 7).

`export` writes a folder of images and a model's masks; people draw and correct; `importing` reads what they
did.
"""
