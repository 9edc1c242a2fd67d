// Every word that the page says, in each language that it speaks. French is the model: the other
// languages have exactly its keys, which the types and a test enforce.

const fr = {
  /** Texts that stand in the page as they are: `data-t="name"` in index.html. */
  page: {
    tagline: "Notifications en temps réel",
    skip: "Aller au fil des événements",
    preferences: "Préférences",
    language: "Langue",
    connection: "Connexion au hub",
    connect: "Se connecter",
    disconnect: "Se déconnecter",
    numbers: "En chiffres",
    received: "Événements reçus",
    clients: "Clients connectés",
    client: "Votre numéro",
    feed: "Fil des événements",
    newestFirst: "Le plus récent en premier",
    publish: "Publier un événement",
    type: "Type",
    message: "Message",
    messageHint: "Exemple\u00a0: Déploiement terminé",
    send: "Publier",
    automatic: "Événements automatiques",
    automaticText:
      "Quand son simulateur est activé, le hub publie de lui-même un événement toutes les 8\u00a0secondes environ, tant qu’un client est connecté.",
    more: "Tout afficher",
  },
  types: {
    user_joined: "Nouvel utilisateur",
    message_received: "Message reçu",
    system_alert: "Alerte système",
    data_updated: "Données mises à jour",
    notification: "Notification",
  },
  themes: {
    auto: "Thème\u00a0: automatique",
    light: "Thème\u00a0: clair",
    dark: "Thème\u00a0: sombre",
  },
  phases: {
    connecting: "Connexion en cours",
    live: "Connecté",
    stalled: "Sans nouvelles du hub",
    waiting: "Déconnecté",
    refused: "Refusé par le hub",
    offline: "Hors ligne",
    stopped: "Déconnecté",
  },
  causes: {
    network: "Le hub est injoignable.",
    offline: "Cet appareil n’a plus de réseau.",
    slow: "Le hub ne répond pas.",
    ended: "Le hub a fermé le flux.",
    http: (/** @type {number} */ status, /** @type {string} */ detail) =>
      `Le hub a répondu ${status}${detail && `\u00a0: ${detail}`}.`,
    format: "La réponse n’est pas un flux d’événements.",
    silent: "Plus aucun battement de cœur ne parvient du hub.",
    full: "Le hub a atteint son nombre maximal de clients.",
    draining: "Le hub est en cours d’arrêt ou de redémarrage.",
    busy: "Le hub est occupé.",
    user: "Vous avez fermé le flux.",
    dismissed: "Le hub a demandé de ne pas revenir.",
  },
  waitingTitle: "En attente d’événements…",
  waitingText: "Le premier apparaîtra ici dès sa publication.",
  stoppedTitle: "Aucun événement reçu",
  stoppedText: "Connectez-vous pour en recevoir.",
  opening: "Ouverture du flux d’événements.",
  liveSince: (/** @type {string} */ time, /** @type {string} */ client) =>
    `En direct depuis ${time}${client && `, client n°\u00a0${client}`}.`,
  nextTry: (/** @type {number} */ seconds) =>
    seconds > 0 ? `Nouvel essai dans ${seconds}\u00a0s.` : "Nouvel essai…",
  retryNow: "Réessayer",
  clientNumber: (/** @type {string} */ client) => `client n°\u00a0${client}`,
  source: (/** @type {string} */ source) => `source\u00a0: ${source}`,
  count: (/** @type {string} */ count) => `compteur\u00a0: ${count}`,
  topic: (/** @type {string} */ topic) => `sujet\u00a0: ${topic}`,
  shown: (/** @type {string} */ count) => `Les ${count} derniers sont affichés`,
  welcome: (/** @type {string} */ client) => `Connecté au hub, client n°\u00a0${client}`,
  resumed: (/** @type {string} */ client) => `Reconnecté au hub, client n°\u00a0${client}`,
  caughtUp: (/** @type {number} */ replayed, /** @type {boolean} */ whole) => {
    if (replayed === 0) return whole ? "\u00a0: rien n’a été manqué" : "";
    return replayed === 1 ? "\u00a0: un événement rattrapé" : `\u00a0: ${replayed} événements rattrapés`;
  },
  gapTitle: (/** @type {number | null} */ missed, /** @type {string} */ number) =>
    missed === null
      ? "Des événements manquent peut-être ici, en nombre inconnu"
      : missed === 1
        ? "Il manque ici un événement"
        : `Il manque ici ${number} événements`,
  gaps: {
    evicted: "Le hub ne les a plus\u00a0: son historique est limité.",
    restart: "Le hub a redémarré, et son historique est reparti de zéro.",
    unknown: "Le hub ne reconnaît pas le dernier événement que cette page a reçu.",
  },
  errors: {
    emptyMessage: "Écrivez un message\u00a0: il ne peut pas être vide.",
    refused: (/** @type {string} */ words) => `Le hub a refusé l’événement\u00a0: ${words}`,
    status: (/** @type {number} */ status) => `code ${status}, sans explication`,
    unreachable: "Le hub est injoignable\u00a0: rien n’a été publié. Votre message est resté ici.",
  },
  sent: (/** @type {number} */ clients) =>
    clients === 0
      ? "Publié. Aucun client n’était connecté."
      : clients === 1
        ? "Publié, envoyé à un client."
        : `Publié, envoyé à ${clients} clients.`,
  newEvents: (/** @type {number} */ count, /** @type {string} */ latest) =>
    count === 1 ? `Nouvel événement\u00a0: ${latest}` : `${count} nouveaux événements. Le dernier\u00a0: ${latest}`,
  andMore: (/** @type {number} */ count) => (count === 1 ? "et un autre" : `et ${count} autres`),
};

/** @typedef {typeof fr} Words */

/** @type {Words} */
const en = {
  page: {
    tagline: "Real-time notifications",
    skip: "Skip to the event feed",
    preferences: "Preferences",
    language: "Language",
    connection: "Connection to the hub",
    connect: "Connect",
    disconnect: "Disconnect",
    numbers: "Numbers",
    received: "Events received",
    clients: "Clients connected",
    client: "Your number",
    feed: "Event feed",
    newestFirst: "Newest first",
    publish: "Publish an event",
    type: "Type",
    message: "Message",
    messageHint: "Example: Deployment finished",
    send: "Publish",
    automatic: "Automatic events",
    automaticText:
      "When its simulator is on, the hub publishes an event by itself about every 8\u00a0seconds, as long as a client is connected.",
    more: "Show all",
  },
  types: {
    user_joined: "User joined",
    message_received: "Message received",
    system_alert: "System alert",
    data_updated: "Data updated",
    notification: "Notification",
  },
  themes: {
    auto: "Theme: automatic",
    light: "Theme: light",
    dark: "Theme: dark",
  },
  phases: {
    connecting: "Connecting",
    live: "Connected",
    stalled: "No sign of the hub",
    waiting: "Disconnected",
    refused: "Refused by the hub",
    offline: "Offline",
    stopped: "Disconnected",
  },
  causes: {
    network: "The hub can’t be reached.",
    offline: "This device has no network.",
    slow: "The hub does not answer.",
    ended: "The hub closed the stream.",
    http: (status, detail) => `The hub answered ${status}${detail && `: ${detail}`}.`,
    format: "The answer is not an event stream.",
    silent: "The hub’s heartbeat has stopped arriving.",
    full: "The hub has as many clients as it can take.",
    draining: "The hub is stopping or restarting.",
    busy: "The hub is busy.",
    user: "You closed the stream.",
    dismissed: "The hub asked not to come back.",
  },
  waitingTitle: "Waiting for events…",
  waitingText: "The first one will appear here as soon as it is published.",
  stoppedTitle: "No event received",
  stoppedText: "Connect to receive some.",
  opening: "Opening the event stream.",
  liveSince: (time, client) => `Live since ${time}${client && `, client ${client}`}.`,
  nextTry: (seconds) => (seconds > 0 ? `New try in ${seconds}\u00a0s.` : "Trying again…"),
  retryNow: "Retry now",
  clientNumber: (client) => `client ${client}`,
  source: (source) => `source: ${source}`,
  count: (count) => `count: ${count}`,
  topic: (topic) => `topic: ${topic}`,
  shown: (count) => `The latest ${count} are shown`,
  welcome: (client) => `Connected to the hub as client ${client}`,
  resumed: (client) => `Reconnected to the hub as client ${client}`,
  caughtUp: (replayed, whole) => {
    if (replayed === 0) return whole ? ": nothing was missed" : "";
    return replayed === 1 ? ": caught up on one event" : `: caught up on ${replayed} events`;
  },
  gapTitle: (missed, number) =>
    missed === null
      ? "Events may be missing here, an unknown number"
      : missed === 1
        ? "One event is missing here"
        : `${number} events are missing here`,
  gaps: {
    evicted: "The hub no longer has them: its history is limited.",
    restart: "The hub restarted, and its history began anew.",
    unknown: "The hub does not know the last event that this page received.",
  },
  errors: {
    emptyMessage: "Write a message: it can’t be empty.",
    refused: (words) => `The hub refused the event: ${words}`,
    status: (status) => `code ${status}, without an explanation`,
    unreachable: "The hub can’t be reached: nothing was published. Your message is still here.",
  },
  sent: (clients) =>
    clients === 0
      ? "Published. No client was connected."
      : clients === 1
        ? "Published, sent to one client."
        : `Published, sent to ${clients} clients.`,
  newEvents: (count, latest) =>
    count === 1 ? `New event: ${latest}` : `${count} new events. The latest: ${latest}`,
  andMore: (count) => (count === 1 ? "and one more" : `and ${count} more`),
};

/** @typedef {"fr" | "en"} Language */

/** @type {Record<Language, Words>} */
export const LANGUAGES = { fr, en };

/**
 * The first language of a list that the page speaks; English for a reader of neither.
 * @param {readonly string[]} wanted language tags, best first, as in `navigator.languages`
 * @returns {Language}
 */
export function chooseLanguage(wanted) {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split("-")[0];
    if (language === "fr" || language === "en") return language;
  }
  return "en";
}
