"""How much faster than the obvious way: ratios, measured interleaved in one run (`make bench`)."""

import os

# Read by torch when it is imported: a thread that waits for another would count the seconds it waits.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
