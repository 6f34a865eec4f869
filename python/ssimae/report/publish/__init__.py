"""Put the metrics of an evaluation into tables that can be published: CSV, Markdown and LaTeX."""
