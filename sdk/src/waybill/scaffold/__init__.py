"""New projects of services, from a template."""

from waybill.scaffold.project import ProjectError, write_project

__all__ = ["ProjectError", "write_project"]
