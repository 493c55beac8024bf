"""The parts of bench/scale: what a table of small loads does not show."""
