// Keep all files of the page, so that it works without a network. FILES and VERSION are written above by the export:
// another version has its own cache, and replaces this one when no page uses it any more.

const PREFIX = "nmt-translator ";
const scope = (name) => new URL(name, registration.scope).href;
const CACHE = `${PREFIX}${scope("")} ${VERSION}`;

addEventListener("install", (event) => {
  const requests = FILES.map((name) => new Request(scope(name), { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

addEventListener("activate", (event) => {
  event.waitUntil(removeOthers());
});

async function removeOthers() {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith(`${PREFIX}${scope("")} `) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
}

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}
