"""FineArt: works of art, their data in PostgreSQL, their pictures in S3."""
