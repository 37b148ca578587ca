"""The service beside the images service, on a real broker and a real ledger."""

from pictures import picture
from waybill.testing import Stack
from waybill_images.app import service as images

from thumbnailer import service


async def test_one_upload_is_work_of_two_services(waybill_stack: Stack) -> None:
    async with waybill_stack.running(images), waybill_stack.running(service):
        accepted = await waybill_stack.call(
            "POST", "/v1/images", files={"file": ("photo.jpg", picture(), "image/jpeg")}
        )
        done = await waybill_stack.ended(accepted.json()["id"])

    assert done["state"] == "completed"
    parts = {part["service"]: part["state"] for part in done["subtasks"]}
    assert parts == {"images": "completed", "thumbnailer": "completed"}
    made = await waybill_stack.call("GET", f"/v1/tasks/{done['id']}/files/thumbnail.webp")
    assert (made.status_code, made.headers["content-type"]) == (200, "image/webp")
