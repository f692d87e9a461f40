"""Where backups lie, and what is made of them: targets, retention and the calendar. No Django, no database."""
