"""What is out there: nodes, where they belong, how they are reached, and what polls read from them."""

from nodes.models.certificate import NEVER, Certificate, CertificateNotice, CertificateSource
from nodes.models.container import ContainerOnNode
from nodes.models.credential import Credential
from nodes.models.drift import Drift
from nodes.models.enrolment import EnrolmentToken, KnownDistinct
from nodes.models.facts import Deployment, Facts, Measurement, TimelineEvent
from nodes.models.git import GitCommit, GitDelivery, GitFollow, GitSync
from nodes.models.group import Cluster, Pool
from nodes.models.history import FactTerm, Sample
from nodes.models.ignition import IgnitionConfig, IgnitionReview, IgnitionValue, IgnitionVersion
from nodes.models.importing import ImportPlan, ImportRow
from nodes.models.node import HostKey, Node
from nodes.models.provisioning import PoolToken, Provisioning
from nodes.models.reach import CredentialTrial, HostCertificate, JumpHost
from nodes.models.release import Release, Stream, SupportEnd
from nodes.models.tally import Tally
from nodes.models.view import ColumnChoice, SavedView

__all__ = [
    "NEVER",
    "Certificate",
    "CertificateNotice",
    "CertificateSource",
    "Cluster",
    "ColumnChoice",
    "ContainerOnNode",
    "Credential",
    "CredentialTrial",
    "Deployment",
    "Drift",
    "EnrolmentToken",
    "FactTerm",
    "Facts",
    "GitCommit",
    "GitDelivery",
    "GitFollow",
    "GitSync",
    "HostCertificate",
    "HostKey",
    "IgnitionConfig",
    "IgnitionReview",
    "IgnitionValue",
    "IgnitionVersion",
    "ImportPlan",
    "ImportRow",
    "JumpHost",
    "KnownDistinct",
    "Measurement",
    "Node",
    "Pool",
    "PoolToken",
    "Provisioning",
    "Release",
    "Sample",
    "SavedView",
    "Stream",
    "SupportEnd",
    "Tally",
    "TimelineEvent",
]
