"""Who is who across windows: clustering of the embeddings of local speakers, and assignment."""
