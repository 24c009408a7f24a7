"""How consistent annotators are: what they outline, how they name it, how much they annotate."""
