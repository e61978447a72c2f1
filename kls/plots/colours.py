"""Colours, marks and sizes of all figures."""

from typing import Any

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common colour vision deficiency.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, BLACK, ORANGE, SKY_BLUE)  # yellow is too pale for lines
GREY, LIGHT_GREY = "#505050", "#D8D8D8"
MARKERS = "osD^vPX"
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
WIDTH, DPI = 7.0, 200  # inches, and pixels in one
TITLE_SIZE, LABEL_SIZE, SMALL_SIZE = 12.0, 10.0, 9.0  # points
