"""What happens in one image: pixels, segments and objects of several people, side by side."""
