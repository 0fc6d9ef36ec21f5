"""Published names of results and of the registry; each is defined in the module it is imported from."""

from .catalogue import MetricType as MetricType
from .declaration import Declaration as Declaration
from .declaration import declare as declare
from .registry import MetricInfo as MetricInfo
from .registry import MetricRegistry as MetricRegistry
from .registry import metrics_registry as metrics_registry
from .registry import register_metric as register_metric
from .results import AggregatedMetricResult as AggregatedMetricResult
from .results import Measurement as Measurement
from .results import MetricResult as MetricResult
from .results import Units as Units
