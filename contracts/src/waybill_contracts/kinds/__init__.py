"""The kinds of work that come with Waybill, one module a family, and which services handle them."""
