"""The web application, on FastAPI: `uvicorn teashop.web:app`."""

from fastapi import FastAPI
from waybill.fastapi import BackgroundTasks, Waybill

from teashop.tasks import confirm

app = FastAPI()
waybill = Waybill(app)


@app.post("/orders/{order}")
async def place(order: str, email: str, tasks: BackgroundTasks) -> dict[str, str]:
    """Places an order; it is confirmed by mail."""
    tasks.add_task(confirm.using(key=f"order-{order}"), order, email)
    return {"order": order}


@app.get("/confirmations/{task_id}")
async def confirmation(task_id: str) -> dict[str, str]:
    """What became of a confirmation."""
    return {"state": str((await waybill.client.get(task_id)).state)}
