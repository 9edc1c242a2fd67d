"""Invents events, for demonstrations: plausible, in French as in the workshop, off by default."""

from __future__ import annotations

import random

import msgspec

from tocsin.core.event import Draft
from tocsin.hub.hub import Hub
from tocsin.tornado_internals import SteadyCallback

MESSAGES = {
    "user_joined": (
        "Un nouvel utilisateur a rejoint la plateforme",
        "Camille vient de se connecter",
    ),
    "message_received": (
        "Nouveau message dans le salon général",
        "Vous avez reçu un message de l'équipe support",
    ),
    "system_alert": (
        "Utilisation du processeur supérieure à 80 %",
        "Sauvegarde terminée avec succès",
    ),
    "data_updated": (
        "Les données du tableau de bord ont été mises à jour",
        "Synchronisation de la base terminée",
    ),
    "notification": (
        "Une nouvelle version est disponible",
        "Rappel : réunion d'équipe dans 15 minutes",
    ),
}
"""Event type to the messages it may carry."""

SOURCE = "simulation"


class Simulator:
    """Publishes an invented event every `interval_s` seconds, while somebody is connected."""

    def __init__(self, hub: Hub, interval_s: float) -> None:
        self._hub = hub
        self._timer = SteadyCallback(self.publish, interval_s * 1000)

    def start(self) -> None:
        """Start the timer, on the running loop."""
        self._timer.start()

    def stop(self) -> None:
        """Stop it."""
        self._timer.stop()

    async def publish(self) -> None:
        """Publish one event, unless nobody would see it."""
        if self._hub.clients and self._hub.is_ready:
            await self._hub.publish(self._draft())

    def _draft(self) -> Draft:
        type, messages = random.choice(tuple(MESSAGES.items()))
        payload = {
            "message": random.choice(messages),
            "data": {},
            "count": random.randrange(100),
            "timestamp": self._hub.now_iso(),
            "source": SOURCE,
            "topic": "default",
        }
        return Draft(type, msgspec.json.encode(payload), source=SOURCE)
