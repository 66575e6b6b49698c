"""TPC-C with a warehouse as tenant: all five transactions, statement by statement, over the SQL API."""
