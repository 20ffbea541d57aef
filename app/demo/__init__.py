"""The tab "Demo": prompts by hand on an image of the dataset or one's own, and the masks they give."""
