"""Files: safe paths, images, tables, JSON, atomic output, work in parallel."""
