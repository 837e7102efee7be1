"""How good a segmentation is, where it is wrong, and which parameters make a better one."""
