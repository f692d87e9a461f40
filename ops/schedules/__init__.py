"""When things are due: cron text and a zone. No Django, no database, no clock of its own."""
