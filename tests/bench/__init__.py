"""How much faster than the obvious way: ratios, measured interleaved in one run (`make bench`)."""
