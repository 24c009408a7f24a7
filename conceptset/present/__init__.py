"""What people see: the console, pages, colours, outlines. One place for both commands."""
