"""Orders and shipments; whoever imports one of them knows every command of both."""

from medsales.domain.orders import cancelling, fulfilment, holds, order, placing, shipment, usage

__all__ = ["cancelling", "fulfilment", "holds", "order", "placing", "shipment", "usage"]
