"""Parts of the report page: drawn charts, tables, the gallery, and the template they fill."""
