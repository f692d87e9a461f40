"""Certificates: read from hosts and endpoints again and again, kept as rows, told of before they end."""
