"""The invoice as a PDF."""

from decimal import Decimal
from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from invoices.events import InvoiceRequested

_COLUMNS = (240, 60, 80, 80)
_STYLE = TableStyle(
    [
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("FONTNAME", (0, -1), (-1, -1), "Helvetica-Bold"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, "black"),
        ("LINEABOVE", (0, -1), (-1, -1), 0.5, "black"),
    ]
)


def total_of(event: InvoiceRequested) -> Decimal:
    """Sum of all items."""
    return sum((item.total for item in event.items), Decimal("0.00"))


def written_pdf(event: InvoiceRequested, shop: str) -> bytes:
    """The PDF; equal for an equal event, so that a repeat of the attempt stores one file."""
    styles = getSampleStyleSheet()
    rows = [(item.text, f"{item.count}", item.price, f"{item.total}") for item in event.items]
    total = ("Total", "", "", f"{total_of(event)}")
    table = Table(
        [("Item", "Count", "Price", "Sum"), *rows, total], _COLUMNS, repeatRows=1, style=_STYLE
    )
    title = f"Invoice for order {event.order_id}"
    story: list[Flowable] = [
        Paragraph(escape(shop), styles["Heading2"]),
        Paragraph(escape(title), styles["Title"]),
        Spacer(0, 12),
        table,
    ]
    pdf = BytesIO()
    SimpleDocTemplate(pdf, pagesize=A4, title=title, author=shop, invariant=True).build(story)
    return pdf.getvalue()
