"""Pages of people: settings, users and roles, tokens and preferences."""
