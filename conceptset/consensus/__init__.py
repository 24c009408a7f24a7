"""One label per pixel from several people's maps, by the method that is asked for."""
