// Every word that the page says, in French: the model. Other languages have exactly its keys, which the
// types and a test enforce.

export const fr = {
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
    filter: "Filtrer",
    search: "Chercher",
    searchHint: "Chercher dans les événements",
    source: "Source",
    topic: "Sujet",
    topicHint: "Sujet, p.\u00a0ex. ops/*",
    clear: "Tout montrer",
    actions: "Actions",
    exportTitle: "Exporter ce qui est affiché",
    ndjson: "NDJSON",
    csv: "CSV",
    copyLink: "Copier le lien de cette vue",
    noticesTitle: "Notifications du bureau",
    accessTitle: "Accès",
    accessOpen: "Vos droits, et votre clé…",
    giveKey: "Donner une clé",
    key: "Clé ou jeton",
    keyKept: "Elle est gardée pour cet onglet, jusqu’à sa fermeture, et n’est envoyée qu’à ce hub.",
    keyUse: "L’utiliser",
    keyForget: "L’oublier",
    close: "Fermer",
    data: "Données",
    copyJson: "Copier en JSON",
    copyCurl: "Copier la commande curl",
    pace: "Événements par seconde",
    latency: "Délai de livraison",
    horizon: "Absence possible sans perte",
    help: "Aide",
    keysTitle: "Raccourcis clavier",
    keySearch: "chercher",
    keyPause: "mettre en pause, reprendre",
    keyFollow: "revenir au plus récent",
    keyNext: "événement suivant, précédent",
    keyOpen: "ouvrir l’événement",
    keyClose: "fermer",
    keyHelp: "cette aide",
    keysOn: "Raccourcis d’une seule touche activés",
    meaningTitle: "Ce que disent les chiffres",
    meaningReceived:
      "Événements reçus\u00a0: ceux que cette page a obtenus depuis son ouverture, y compris ceux rattrapés. Elle en garde 20\u00a0000.",
    meaningLatency:
      "Délai de livraison\u00a0: de l’acceptation par le hub à l’arrivée dans ce navigateur, médiane des 99 derniers. Les deux horloges sont comparées par une question au hub\u00a0; ± est l’erreur que cette comparaison laisse.",
    meaningHorizon:
      "Absence possible sans perte\u00a0: la durée que couvre l’historique du hub. ≈ est une estimation au rythme actuel, tant que l’historique n’est pas plein.",
    publish: "Publier un événement",
    type: "Type",
    message: "Message",
    messageHint: "Exemple\u00a0: Déploiement terminé",
    send: "Publier",
    automatic: "Événements automatiques",
    automaticText:
      "Quand son simulateur est activé, le hub publie de lui-même un événement toutes les 8\u00a0secondes environ, tant qu’un client est connecté.",
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
    token: "La page n’a pas pu obtenir son jeton.",
    dismissed: "Le hub a demandé de ne pas revenir.",
  },
  access: {
    unknown: "Le hub n’a pas encore dit ce que vous pouvez faire.",
    open: "Ce hub ne demande pas de clé\u00a0: tout le monde peut lire et publier.",
    refused: "Le hub n’accepte pas cette clé ou ce jeton. Il a peut-être expiré.",
    /** @param {string} principal */
    known: (principal) => `Le hub vous connaît comme ${principal}.`,
    nobody: "Vous n’avez pas donné de clé.",
    everything: "tous les sujets",
    /** @param {string} topics */
    mayRead: (topics) => `Vous pouvez lire\u00a0: ${topics}.`,
    mayNotRead: "Vous ne pouvez rien lire.",
    /** @param {string} topics */
    mayPublish: (topics) => `Vous pouvez publier sur\u00a0: ${topics}.`,
    mayNotPublish: "Vous ne pouvez rien publier.",
    /** @param {string} topic */
    formDenied: (topic) => `Vous ne pouvez pas publier sur le sujet «\u00a0${topic}\u00a0», qu’utilise ce formulaire.`,
    noKey: "Ce n’est ni une clé ni un jeton\u00a0: lettres, chiffres et . _ ~ + / - =, sans espaces.",
    notKept: "Ce navigateur ne garde rien pour cette page.",
  },
  pause: "Pause",
  resume: "Reprendre",
  pill: (/** @type {number} */ count, /** @type {string} */ number, /** @type {number} */ gaps) =>
    `${count === 1 ? "1 nouveau" : `${number} nouveaux`}${gaps > 0 ? ", avec une lacune" : ""}`,
  allTypes: "Tous les types",
  allSources: "Toutes les sources",
  onView: (/** @type {number} */ count, /** @type {string} */ number) =>
    count === 0
      ? "Le plus récent en premier"
      : count === 1
        ? "1 événement"
        : `${number} événements, le plus récent en premier`,
  matching: (/** @type {string} */ shown, /** @type {string} */ kept) => `${shown} sur ${kept} correspondent`,
  pausedAt: (/** @type {string} */ what, /** @type {string} */ time) => `En pause depuis ${time}\u00a0: ${what}`,
  noMatch: "Aucun événement ne correspond",
  noMatchText: "Les nouveaux événements qui correspondent apparaîtront ici.",
  letGo: (/** @type {string} */ kept, /** @type {string} */ gone) =>
    `Cette page garde les ${kept} événements les plus récents. Elle n’a plus les ${gone} précédents.`,
  lastBefore: (/** @type {string} */ time) => `Dernier événement avant\u00a0: ${time}.`,
  copied: "Copié.",
  notCopied: "Le navigateur a refusé de copier.",
  linkCopied: "Lien copié.",
  fields: {
    id: "Identifiant",
    topic: "Sujet",
    source: "Source",
    count: "Compteur",
    published: "Publié",
    arrived: "Arrivé ici",
    client: "Client",
    why: "Raison",
    told: "Signalé",
  },
  noticesOn: "M’avertir de ce qui correspond au filtre",
  noticesOff: "Ne plus m’avertir",
  noticesOfAll: "Activées pour tous les événements, quand cette page n’est pas au premier plan.",
  noticesOf: (/** @type {string} */ rule) => `Activées pour ${rule}, quand cette page n’est pas au premier plan.`,
  quoted: (/** @type {string} */ text) => `«\u00a0${text}\u00a0»`,
  noticesTrouble: {
    insecure: "Les navigateurs ne le permettent que sur https:// ou localhost.",
    denied: "Le navigateur ne le permet pas à cette page. Cela se change dans ses réglages.",
    unsupported: "Ce navigateur ne le permet pas aux pages.",
  },
  horizonAll: "sans limite",
  peak: (/** @type {string} */ count) => `max. ${count}`,
  lastMinute: (/** @type {string} */ most) => `Événements par seconde pendant la dernière minute, au plus ${most}`,
  waitingTitle: "En attente d’événements…",
  waitingText: "Le premier apparaîtra ici dès sa publication.",
  stoppedTitle: "Aucun événement reçu",
  stoppedText: "Connectez-vous pour en recevoir.",
  opening: "Ouverture du flux d’événements.",
  liveSince: (/** @type {string} */ time, /** @type {string} */ client) =>
    `En direct depuis ${time}${client && `, client n°\u00a0${client}`}.`,
  polling: " Un intermédiaire retient les flux : cette page interroge le hub sans cesse à la place.",
  sharedBy: (/** @type {number} */ tabs) => ` ${tabs} onglets partagent ce flux.`,
  forAllTabs: " Cela vaut pour tous les onglets.",
  nextTry: (/** @type {number} */ seconds) =>
    seconds > 0 ? `Nouvel essai dans ${seconds}\u00a0s.` : "Nouvel essai…",
  retryNow: "Réessayer",
  clientNumber: (/** @type {string} */ client) => `client n°\u00a0${client}`,
  source: (/** @type {string} */ source) => `source\u00a0: ${source}`,
  count: (/** @type {string} */ count) => `compteur\u00a0: ${count}`,
  topic: (/** @type {string} */ topic) => `sujet\u00a0: ${topic}`,
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
    tab: "Cet onglet a dormi si longtemps que le navigateur ne les garde plus.",
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
