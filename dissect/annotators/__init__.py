"""What a dissection owes to each annotator: figures over several people's labels, from counts."""
