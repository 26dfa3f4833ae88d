// Passkeys: asks the browser to make or use one, and sends what it answers with the form.
//
// A form says what it wants by data-passkey="create" or "get". The server's options stand in the
// script element that data-options names, or are fetched from data-from.

const fromBase64 = (text) => {
  const padded = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
};

const toBase64 = (buffer) => {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte));
  return btoa(letters.join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

const withBytes = (credentials = []) => credentials.map((one) => ({ ...one, id: fromBase64(one.id) }));

async function options(form) {
  if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
  const answer = await fetch(form.dataset.from, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return (await answer.json()).request_options;
}

function creation({ publicKey }, alone) {
  const selection = { ...publicKey.authenticatorSelection };
  if (alone) Object.assign(selection, { residentKey: "required", requireResidentKey: true, userVerification: "required" });
  return {
    ...publicKey,
    authenticatorSelection: selection,
    challenge: fromBase64(publicKey.challenge),
    user: { ...publicKey.user, id: fromBase64(publicKey.user.id) },
    excludeCredentials: withBytes(publicKey.excludeCredentials),
  };
}

function request({ publicKey }) {
  return {
    ...publicKey,
    challenge: fromBase64(publicKey.challenge),
    allowCredentials: withBytes(publicKey.allowCredentials),
  };
}

function told(credential) {
  const { response } = credential;
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const given = parts.filter((part) => response[part]).map((part) => [part, toBase64(response[part])]);
  return {
    id: credential.id,
    rawId: toBase64(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: { ...Object.fromEntries(given), ...(response.getTransports && { transports: response.getTransports() }) },
  };
}

async function ask(form) {
  const given = await options(form);
  if (form.dataset.passkey === "get") return navigator.credentials.get({ publicKey: request(given) });
  const alone = form.elements.passwordless?.checked ?? false;
  return navigator.credentials.create({ publicKey: creation(given, alone) });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const failed = document.getElementById(form.dataset.failed);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failed.hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(told(await ask(form)));
      form.submit();
    } catch {
      failed.hidden = false; // the person said no, or there is no such key here
    }
  });
}
