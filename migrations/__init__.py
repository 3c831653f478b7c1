"""The database's history as plain SQL: `NNNN_name.sql`, append-only. A file that has shipped is never changed."""
