"""Machines are deleted and made by provisioners, each behind one small interface. No Django, no database, no clock."""

from ops.replacement.base import Broken, NotReady, Order, Progress, Provisioner
from ops.replacement.jobs import Jobs

__all__ = ["Broken", "Jobs", "NotReady", "Order", "Progress", "Provisioner"]
