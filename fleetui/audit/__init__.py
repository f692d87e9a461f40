"""The audit log: append, verify, anchor. See fleetui.audit.log.append."""
