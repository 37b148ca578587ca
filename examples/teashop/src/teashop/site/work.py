"""The tasks of the site, as Django has them."""

import django

if django.VERSION >= (6,):
    from django.tasks import task
else:
    from django_tasks import task


@task(priority=10)
def announce(order: str, discount: int = 0) -> dict[str, object]:
    """Announces an order to the warehouse."""
    return {"order": order, "discount": discount}
