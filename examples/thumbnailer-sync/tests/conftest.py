pytest_plugins = ["waybill.testing.plugin"]
