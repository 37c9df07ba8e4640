"""What data sources share: listing, reading, naming, and the bases of their kinds."""
