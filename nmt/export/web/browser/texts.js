// The texts of the page, in English and Korean.

const ENGLISH = {
  language: "en",
  otherName: "한국어",
  placeholder: "Type or paste text",
  labels: {
    "alternatives-label": "Show alternatives",
    "card-label": "About this model",
    privacy: "Translated on this device: no text is sent anywhere. The page also works without a network.",
  },
  states: {
    loading: () => "Loading the model …",
    ready: () => "Ready",
    working: () => "Translating …",
    done: ({ milliseconds }) => `Translated in ${(milliseconds / 1000).toFixed(2)} s`,
    failed: ({ message }) => `The translator could not be loaded or run: ${message}`,
  },
};

const KOREAN = {
  language: "ko",
  otherName: "English",
  placeholder: "번역할 글을 입력하세요",
  labels: {
    "alternatives-label": "다른 번역도 보기",
    "card-label": "이 모델에 대하여",
    privacy: "이 기기에서 번역합니다. 글은 어디로도 전송되지 않으며, 네트워크 없이도 동작합니다.",
  },
  states: {
    loading: () => "모델을 불러오는 중 …",
    ready: () => "준비됨",
    working: () => "번역하는 중 …",
    done: ({ milliseconds }) => `${(milliseconds / 1000).toFixed(2)}초 만에 번역했습니다`,
    failed: ({ message }) => `번역기를 불러오거나 실행할 수 없습니다: ${message}`,
  },
};

// The texts in the language of a browser.
export const chooseTexts = (language) => withMethods(language.startsWith("ko") ? KOREAN : ENGLISH);

function withMethods(texts) {
  const names = new Intl.DisplayNames([texts.language], { type: "language" });
  return {
    ...texts,
    other: () => withMethods(texts === ENGLISH ? KOREAN : ENGLISH),
    status: (state) => texts.states[state.name](state),
    languageName: (code) => {
      try {
        return names.of(code) ?? code;
      } catch {
        return code; // not a code of a language
      }
    },
  };
}
