"""`python -m waybill_cli` is `waybill`."""

from waybill_cli.main import main

if __name__ == "__main__":
    main()
