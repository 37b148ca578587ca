"""The pages of the site."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from teashop.site.work import announce


@csrf_exempt
def place(_request: HttpRequest, order: str) -> JsonResponse:
    """Places an order; the warehouse hears of it later."""
    return JsonResponse({"task": announce.enqueue(order, discount=5).id})


def announced(_request: HttpRequest, task_id: str) -> JsonResponse:
    """What became of it."""
    result = announce.get_result(task_id)
    return JsonResponse(
        {"status": result.status, "value": result.return_value if result.is_finished else None}
    )


urlpatterns = [path("orders/<str:order>", place), path("tasks/<str:task_id>", announced)]
