"""What we do about it: requests, the operations that carry them out, their logs, approvals and limits."""

from ops.models.attachment import Attachment
from ops.models.backup import BackupDrill, BackupPolicy, BackupRun, BackupTarget, Restore
from ops.models.cluster import ClusterAccess, ClusterCertificate, ClusterDeployment, ClusterNode, Cordon
from ops.models.hold import VersionHold
from ops.models.limits import ApprovalRule, Limit, Stop
from ops.models.log import LogLine, StepRun
from ops.models.operation import Operation
from ops.models.pool_check import PoolCheck
from ops.models.replace_policy import PolicyReplacement, ReplacePolicy
from ops.models.replacement import PoolProvisioner, Provisioner, ProvisionerSource, Replacement
from ops.models.request import Approval, OperationRequest
from ops.models.runbook import RunbookEntry
from ops.models.schedule import Schedule, ScheduleRun

__all__ = [
    "Approval",
    "ApprovalRule",
    "Attachment",
    "BackupDrill",
    "BackupPolicy",
    "BackupRun",
    "BackupTarget",
    "ClusterAccess",
    "ClusterCertificate",
    "ClusterDeployment",
    "ClusterNode",
    "Cordon",
    "Limit",
    "LogLine",
    "Operation",
    "OperationRequest",
    "PolicyReplacement",
    "PoolCheck",
    "PoolProvisioner",
    "Provisioner",
    "ProvisionerSource",
    "ReplacePolicy",
    "Replacement",
    "Restore",
    "RunbookEntry",
    "Schedule",
    "ScheduleRun",
    "StepRun",
    "Stop",
    "VersionHold",
]
