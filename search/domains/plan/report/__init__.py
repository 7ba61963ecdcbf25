"""Reports of plans: their outline and text, and the files that are made of them."""

from search.domains.plan.report.files import report_files
from search.domains.plan.report.write import write_report

__all__ = ["report_files", "write_report"]
