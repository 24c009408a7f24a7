"""A concept set on disk: its names, its tables, how it is read and written."""
