"""What every REST endpoint is built from: declared actions, shapes of rows, keyset pages, problems."""
