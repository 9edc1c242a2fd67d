// Every word that the page says, in French: the model. Other languages have exactly its keys, which the
// types and a test enforce.

export const fr = {
  /** Texts that stand in the page as they are: `data-t="name"` in index.html. */
  page: {
    skip: "Aller au fil des événements",
    preferences: "Préférences",
    language: "Langue",
    connection: "Connexion au hub",
    numbers: "En chiffres",
    latency: "pour arriver",
    client: "est le numéro de ce navigateur",
    explain: "Ce que disent les chiffres",
    whyReceived: "Les événements venus depuis l’ouverture de cette page, y compris ceux rattrapés après une coupure.",
    whyClients: "Ceux qui ont en ce moment un flux de ce hub ouvert. Tous les onglets d’un navigateur n’en font qu’un.",
    whyRate: "Moyenne des cinq dernières secondes\u00a0; la courbe montre la dernière minute.",
    whyLatency: "De l’acceptation d’un événement par le hub à son arrivée dans ce navigateur\u00a0: la médiane des 99 derniers en direct. Exact à quelques millisecondes, car deux horloges sont comparées.",
    whyClient: "Le numéro que le hub a donné au flux de ce navigateur. Il change à chaque reconnexion.",
    feed: "Événements",
    filter: "Filtrer",
    search: "Chercher",
    searchHint: "Chercher",
    searchTitle: "Comment chercher",
    typeHint: "Type",
    sourceHint: "Source",
    topic: "Sujet",
    topicHint: "Sujet (ops/*)",
    source: "Source",
    clear: "Tout montrer",
    compact: "Lignes compactes",
    actions: "Actions",
    exportTitle: "Exporter ce qui est affiché",
    ndjson: "NDJSON",
    csv: "CSV",
    copyLink: "Copier le lien de cette vue",
    noticesTitle: "Avertissements",
    accessTitle: "Accès",
    accessOpen: "Vos droits, et votre clé…",
    giveKey: "Donner une clé",
    key: "Clé ou jeton",
    keyKept: "Elle est gardée pour cet onglet, jusqu’à sa fermeture, et n’est envoyée qu’à ce hub.",
    keyUse: "L’utiliser",
    keyForget: "L’oublier",
    close: "Fermer",
    newer: "Événement plus récent (K)",
    older: "Événement plus ancien (J)",
    data: "Données",
    copy: "Copier",
    copyJson: "Copier en JSON",
    copyCurl: "Copier pour curl",
    copyAddress: "Copier son adresse",
    curl: "Commande qui publie un événement",
    sendTest: "Envoyer un événement d’essai",
    help: "Aide et à propos",
    aboutTitle: "Ce hub",
    linkDocs: "Documentation",
    linkApi: "Description de l’API (OpenAPI)",
    linkMetrics: "Métriques",
    keysTitle: "Raccourcis clavier",
    keySearch: "chercher",
    keyPause: "mettre en pause, reprendre",
    keyFollow: "revenir au plus récent",
    keyNext: "événement plus ancien, plus récent\u00a0; dans le détail aussi",
    keyGap: "lacune suivante",
    keyOpen: "ouvrir l’événement",
    keyClose: "fermer",
    keyHelp: "cette aide",
    keysOn: "Raccourcis d’une seule touche activés",
    searchWords: "disque web",
    searchWordsHelp: "tous ces mots, dans n’importe quel ordre",
    searchPhrase: '"deux mots"',
    searchPhraseHelp: "des mots qui se suivent",
    searchNot: "-mot",
    searchNotHelp: "sans ce mot",
    searchPrefixHelp: "comme sujet\u00a0: tout ce qui commence par ops/",
    searchListHelp: "comme type, sujet ou source\u00a0: l’un d’eux",
    publish: "Publier un événement",
    type: "Type",
    message: "Message",
    messageHint: "Déploiement terminé",
    formData: "Données (JSON)",
    send: "Publier",
    sendKeys: "Ctrl+Entrée publie",
    asCurl: "Copier pour curl",
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
    waiting: "Reconnexion",
    refused: "Refusé",
    offline: "Hors ligne",
    stopped: "Arrêté",
  },
  causes: {
    network: "Le hub est injoignable.",
    offline: "Cet appareil n’a plus de réseau.",
    slow: "Le hub ne répond pas.",
    ended: "Le hub a fermé le flux.",
    http: (/** @type {number} */ status, /** @type {string} */ detail) =>
      `Le hub a répondu ${status}\u00a0: ${detail}.`,
    proxy: (/** @type {number} */ status) => `Pas le hub, mais un proxy devant lui a répondu ${status}.`,
    format: "La réponse n’est pas un flux d’événements.",
    silent: "Plus aucun battement de cœur ne parvient du hub.",
    full: "Le hub a atteint son nombre maximal de clients.",
    draining: "Le hub est en cours d’arrêt ou de redémarrage.",
    busy: "Le hub est occupé.",
    unauthorized: "Le hub demande une clé ou un jeton (401).",
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
    formDenied: (topic) => `Vous ne pouvez pas publier sur le sujet «\u00a0${topic}\u00a0».`,
    noKey: "Ce n’est ni une clé ni un jeton\u00a0: lettres, chiffres et . _ ~ + / - =, sans espaces.",
    notKept: "Ce navigateur ne garde rien pour cette page.",
  },
  connect: "Se connecter",
  disconnect: "Se déconnecter",
  stop: "Arrêter",
  retryNow: "Réessayer",
  pause: "Pause",
  resume: "Reprendre",
  pill: (/** @type {number} */ count, /** @type {string} */ number, /** @type {number} */ gaps) => {
    if (count + gaps === 0) return "Le plus récent";
    if (count === 0) return gaps === 1 ? "1 nouvelle lacune" : `${gaps} nouvelles lacunes`;
    return `${count === 1 ? "1 nouveau" : `${number} nouveaux`}${gaps > 0 ? ", avec une lacune" : ""}`;
  },
  gapsKnown: (/** @type {number} */ count) => (count === 1 ? "1 lacune" : `${count} lacunes`),
  // 0, 1 and what lies below 2 are singular.
  /** @param {number} count @returns {string} */
  receivedWord: (count) => (count < 2 ? "reçu" : "reçus"),
  /** @param {number | null} rate @returns {string} */
  rateWord: (rate) => (rate === null || rate < 2 ? "événement/s" : "événements/s"),
  clientsWord: (/** @type {number | null} */ count) => (count === null || count < 2 ? "client" : "clients"),
  onView: (/** @type {number} */ count, /** @type {string} */ number) =>
    count === 0 ? "" : count === 1 ? "1 événement" : `${number} événements`,
  matching: (/** @type {number} */ count, /** @type {string} */ shown, /** @type {string} */ kept) =>
    `${shown} sur ${kept} ${count < 2 ? "correspond" : "correspondent"}`,
  pausedAt: (/** @type {string} */ what, /** @type {string} */ time) => `En pause à ${time}${what && ` · ${what}`}`,
  empty: {
    connecting: ["Connexion…", "Les événements apparaîtront ici une fois le flux ouvert."],
    live: ["Pas encore d’événement", "Le hub est connecté et n’en garde aucun pour l’instant. Publiez le premier depuis un terminal\u00a0:"],
    quiet: ["Pas encore de nouvel événement", "Le hub est connecté. Ce qu’il gardait déjà est à un clic."],
    stopped: ["Arrêté", "Connectez-vous pour recevoir des événements."],
    away: ["Aucun événement à montrer", "Il n’y a pas de connexion au hub en ce moment. Ce qui est publié entre-temps apparaîtra à son retour, pour autant que le hub le garde."],
    refused: ["Aucun événement à montrer", "Le hub n’a pas laissé entrer cette page. La barre du haut dit pourquoi."],
    readOnly: ["Pas encore d’événement", "Les événements des sujets que vous pouvez lire apparaîtront ici."],
    filtered: ["Aucun événement ne correspond", "Les nouveaux événements qui correspondent apparaîtront ici."],
  },
  testMessage: "Un événement d’essai du tableau de bord",
  past: {
    earlier: "Événements antérieurs",
    loading: "Chargement…",
    oldest: "C’est le plus ancien événement que garde le hub.",
    none: "Le hub ne garde rien d’antérieur qui corresponde.",
    searched: (/** @type {string} */ time) => `Cherché jusqu’à ${time}.`,
    further: "Chercher plus loin",
    failed: "Le hub n’a pas donné d’événements antérieurs.",
    again: "Réessayer",
    cut: (/** @type {number} */ count, /** @type {string} */ number) =>
      `${number} ${count < 2 ? "événement est omis" : "événements sont omis"} ici pour ménager la mémoire`,
  },
  lastBefore: (/** @type {string} */ time) => `Dernier événement avant\u00a0: ${time}.`,
  copied: "Copié.",
  notCopied: "Le navigateur a refusé de copier.",
  linkCopied: "Lien copié.",
  cameLater: "pas en direct\u00a0: de l’historique du hub",
  fields: {
    severity: "Gravité",
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
  onlyType: "Seulement ce type",
  onlyTopic: "Seulement ce sujet",
  notKept: "Le hub ne garde plus cet événement, ou vous ne pouvez pas le lire.",
  pathCopied: (/** @type {string} */ path) => `Copié\u00a0: ${path}`,
  copyPath: (/** @type {string} */ path) => `Copier le chemin ${path}`,
  more: (/** @type {number} */ count) => `${count} de plus`,
  badJson: "Pas encore un objet JSON.",
  toastsOn: "Montrer les bulles",
  noticesOn: "Notifications du bureau pour ce qui correspond",
  noticesOfAll: "Activées pour tous les événements, quand cette page n’est pas au premier plan.",
  noticesOf: (/** @type {string} */ rule) => `Activées pour ${rule}, quand cette page n’est pas au premier plan.`,
  quoted: (/** @type {string} */ text) => `«\u00a0${text}\u00a0»`,
  noticesTrouble: {
    insecure: "Les navigateurs ne le permettent que sur https:// ou localhost.",
    denied: "Le navigateur ne le permet pas à cette page. Cela se change dans ses réglages.",
    unsupported: "Ce navigateur ne le permet pas aux pages.",
  },
  keptWord: (/** @type {number | null} */ count, /** @type {string} */ limit, /** @type {string} */ since) => {
    const kept = count === null || count < 2 ? "gardé" : "gardés";
    return count === null ? kept : `sur ${limit} ${kept}${since && `, depuis ${since}`}`;
  },
  keptBy: {
    memory: "Le hub garde les événements en mémoire\u00a0: un redémarrage les efface.",
    sqlite: "Le hub garde les événements dans un fichier, malgré les redémarrages.",
    redis: "Le hub garde les événements dans Redis, malgré les redémarrages et pour tous ses nœuds.",
    other: "Le hub garde les événements dans son journal.",
  },
  whyKept: "Combien d’événements le hub garde, sur combien au plus, et depuis quand. Qui s’est absenté moins longtemps n’a rien perdu.",
  about: { version: "Version", up: "En marche depuis", keeps: "Historique", node: "Nœud", you: "Vous" },
  simulated: (/** @type {number} */ seconds, /** @type {string} */ every) =>
    `Le simulateur du hub invente un événement toutes les ${seconds === 1 ? "secondes" : every}, tant que quelqu’un est connecté.`,
  peak: (/** @type {string} */ count) => `max. ${count}`,
  lastMinute: (/** @type {string} */ most) => `Événements par seconde pendant la dernière minute, au plus ${most}`,
  opening: "Ouverture du flux d’événements.",
  liveSince: (/** @type {string} */ time, /** @type {string} */ client) =>
    `En direct depuis ${time}${client && `, client n°\u00a0${client}`}.`,
  polling: " Un intermédiaire retient les flux\u00a0: cette page interroge le hub sans cesse à la place.",
  sharedBy: (/** @type {number} */ tabs) => ` ${tabs} onglets partagent ce flux.`,
  forAllTabs: " Cela vaut pour tous les onglets.",
  nextTry: (/** @type {number} */ seconds) =>
    seconds > 0 ? `Nouvel essai dans ${seconds}\u00a0s.` : "Nouvel essai…",
  clientNumber: (/** @type {string} */ client) => `client n°\u00a0${client}`,
  count: (/** @type {string} */ count) => `compteur ${count}`,
  opened: (/** @type {string} */ client) => `En direct à partir d’ici, client\u00a0n°\u00a0${client}`,
  resumed: (/** @type {string} */ client) => `Reconnecté, client\u00a0n°\u00a0${client}`,
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
  andMore: (/** @type {string} */ count) => `+${count}`,
};

/** @typedef {typeof fr} Words */
