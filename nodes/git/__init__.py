"""Git repositories read as hostile input: fetched into a bare mirror, bounded, never checked out. No Django here.

Nothing else imports dulwich. `fetch` brings a branch into a mirror, `history` says which commits are new, `reading` takes
the files of one.
"""
