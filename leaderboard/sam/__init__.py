"""Segment Anything (Kirillov et al., ICCV 2023) through its owner's package: network, prompts, everything."""
